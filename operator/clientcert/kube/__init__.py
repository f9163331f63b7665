"""The API server: a thin client, list-and-watch, status patches, Events, leader election."""
