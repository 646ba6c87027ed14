from django.apps import AppConfig


class ToolkitConfig(AppConfig):
    name = "oauth_refresh.contrib.toolkit"
    label = "oauth_refresh_toolkit"
    imports_foreign_tokens = True  # so texts without our form are looked up, also once FOREIGN_TOKENS is empty again
