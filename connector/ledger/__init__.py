"""The double-entry book of the practice's SmilePass money, and the write-back queue to the practice system."""
