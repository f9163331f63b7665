"""The API objects: parses specs, policies, statuses and client lists; renders statuses."""
