"""Making a data set of images and masks in one of the usual layouts."""
