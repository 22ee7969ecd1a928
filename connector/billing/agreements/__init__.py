"""What was agreed: contracts and their people, payment plans, requests and holds, and when they fall due."""
