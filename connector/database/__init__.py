"""The engine, the unit of work, the base of all models, and the migrations."""
