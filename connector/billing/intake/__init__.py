"""Reading files of members and payment plans: pure rules for rows and cells."""
