"""Form fields for the columns of an application that hold words, keys and overrides."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class KeySetField(forms.JSONField):
    """JSON that shows nothing where there is nothing, not ``null``."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value in (None, "null") else super().prepare_value(value)


class WordsField(forms.MultipleChoiceField):
    """Boxes to tick for a column that holds words separated by spaces."""

    widget = forms.CheckboxSelectMultiple

    def prepare_value(self, value: Any) -> Any:
        return value.split() if isinstance(value, str) else value

    def clean(self, value: Any) -> Any:
        return " ".join(super().clean(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class OverrideField(forms.NullBooleanField):
    """Yes, no, or as the project's settings say, which the empty choice tells."""

    def __init__(self, *, in_force: bool, **kwargs: Any) -> None:
        default = _("as the project's settings say: yes") if in_force else _("as the project's settings say: no")
        choices = [("", default), ("True", _("yes")), ("False", _("no"))]
        super().__init__(widget=forms.Select(choices=choices), **kwargs)
