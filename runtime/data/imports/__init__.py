"""Making a data set of images and masks as people have them."""
