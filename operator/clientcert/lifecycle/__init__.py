"""Pure decisions about a certificate's life. `now` is always an argument, and nothing here does I/O."""
