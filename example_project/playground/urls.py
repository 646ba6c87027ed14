from django.urls import path

from example_project.playground import views

app_name = "playground"
urlpatterns = [
    path("", views.index, name="index"),
    path("connect", views.connect, name="connect"),
    path("callback", views.callback, name="callback"),
    path("act", views.act, name="act"),
    path("forget", views.forget, name="forget"),
    path("sign-in", views.sign_in, name="sign_in"),
]
