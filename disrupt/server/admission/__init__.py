"""Who may take how much: checked while messages come, before anything is done for them."""
