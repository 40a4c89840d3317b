"""Device profiles: their grammar, templates of requests and answers, codecs and commands."""
