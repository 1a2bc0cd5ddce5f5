"""Files of each format of pictures as Chromium shows them: whole, unusual and damaged."""
