"""Device profiles: grammar of the profile files, templates of requests and answers, points and commands."""
