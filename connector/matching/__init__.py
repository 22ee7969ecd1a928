"""Links members of the platform to patients of the practice system, and leaves every doubt to a person."""
