"""What is odd about files of texts and labels, found before a model learns from them."""
