"""The Processing tools, one a file: parameters in, one options value to the core, a dict out."""
