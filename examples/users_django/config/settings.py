"""Django's settings. Where the database is, DB_HOST and its kind say: here nobody has to."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

ON_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME" in os.environ
DEBUG = not ON_LAMBDA

# Signs sessions. On Lambda it is a parameter: see README.md, "To AWS".
SECRET_KEY = os.environ.get("SECRET_KEY", "" if ON_LAMBDA else "of a laptop, which has no secrets")
if not SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY is not set; README.md says how")

# API Gateway answers for its own names only.
ALLOWED_HOSTS = ["*"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "sunup.integrations.django",
    "users",
]
MIDDLEWARE = [
    # A request with an Idempotency-Key is executed once, however often it is sent.
    "sunup.integrations.django.exactly_once.Middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# Also after a conflict: the app does nothing but what a rollback undoes.
SUNUP_EXACTLY_ONCE = {"repeat": True}
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": {"ENGINE": "sunup.integrations.django"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

# Exceptions leave the app: sunup logs them with their cause, and knows when it was the database.
DEBUG_PROPAGATE_EXCEPTIONS = ON_LAMBDA

# Not in the emulator, which has no HTTPS: pyproject.toml.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ON_LAMBDA and "PLAIN_HTTP" not in os.environ

STATIC_URL = "static/"
# Straight from the apps, without `collectstatic`. With many files, collect them instead.
WHITENOISE_USE_FINDERS = True

USE_TZ = True
TIME_ZONE = "UTC"
