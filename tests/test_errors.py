import pytest

from kerasbert.errors import InputError, InputWarning, did_you_mean


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("txt", " Did you mean 'text'?"),
        ("labels", " Did you mean 'Label'?"),
        ("TEXT", " Did you mean 'text'?"),
        ("zebra", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case(name, hint):
    assert did_you_mean(name, ["text", "Label", "id"]) == hint


def test_no_names_give_no_hint():
    assert did_you_mean("text", []) == ""


def test_an_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)


def test_an_input_warning_is_a_user_warning():
    # Python shows those, while it hides warnings for developers from users.
    assert issubclass(InputWarning, UserWarning)
    assert InputWarning is not UserWarning
