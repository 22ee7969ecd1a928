"""What is offered: plans in versions, their terms as documents, benefits and lock-in."""
