"""The API's words and ours: specs into declarations and policies, assessments into statuses."""
