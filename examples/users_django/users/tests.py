"""The API and the admin through Django's own client: `python manage.py test`."""

from django.contrib.auth import get_user_model
from django.test import TestCase

from .models import User

ADA = {"name": "Ada", "email": "ada@example.com"}


class Api(TestCase):
    def test_a_user_is_made_changed_and_removed(self) -> None:
        made = self.client.post("/users", ADA, "application/json")
        self.assertEqual(made.status_code, 201)
        path = f"/users/{made.json()['id']}"
        self.assertEqual(self.client.get(path).json(), made.json())
        changed = self.client.put(path, {"name": "Ada L."}, "application/json")
        self.assertEqual(changed.json()["name"], "Ada L.")
        self.assertEqual(self.client.delete(path).status_code, 200)
        self.assertEqual(self.client.get(path).status_code, 404)

    def test_an_address_is_taken_once(self) -> None:
        self.client.post("/users", ADA, "application/json")
        again = self.client.post("/users", ADA, "application/json")
        self.assertEqual(again.status_code, 409)
        self.assertEqual(again.json(), {"error": "email already exists"})

    def test_a_body_that_is_wrong_says_which_field(self) -> None:
        answer = self.client.post("/users", {"name": "Ada"}, "application/json")
        self.assertEqual((answer.status_code, answer.json()["field"]), (400, "email"))


class Admin(TestCase):
    def test_users_are_listed_for_who_is_logged_in(self) -> None:
        User.objects.create(**ADA)
        self.assertEqual(self.client.get("/admin/users/user/").status_code, 302)
        self.client.force_login(get_user_model().objects.create_superuser("root"))
        self.assertContains(self.client.get("/admin/users/user/"), "ada@example.com")
