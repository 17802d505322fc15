"""What a recurrent model does inside, to look at. Start reading at `tracing`."""
