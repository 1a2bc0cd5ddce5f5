"""Call a system: by stubs, raw HTTP/2, SDK, command line and the page's worker."""
