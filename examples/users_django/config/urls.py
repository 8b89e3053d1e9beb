"""Which view answers which path."""

from django.contrib import admin
from django.urls import path
from users import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health", views.Health.as_view()),
    path("users", views.Users.as_view()),
    path("users/<number>", views.OneUser.as_view()),
]

handler400 = views.bad_request
handler404 = views.not_found
