"""The operations of the JSON API, in one file for each part of the page: address, right, parameters, bodies."""
