from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("oauth_refresh", "0004_users_take_their_grants_along"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="usedassertion",
            name="oauth_used_assertion_expiry",
        ),
    ]
