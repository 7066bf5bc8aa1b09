"""Does the explanation hold? Dictionaries, graphs and single claims measured [CT25, "Evaluating"]."""
