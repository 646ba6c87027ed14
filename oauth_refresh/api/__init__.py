"""HTTP, by Django REST framework: read a request, call one verb, write the answer."""
