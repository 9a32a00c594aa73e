"""Early warning (Article 21): what senders did, window by window, and who works without consent."""
