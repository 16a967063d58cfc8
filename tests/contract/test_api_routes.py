"""The documentation's table of HTTP routes: each path takes its methods and refuses all others."""

import pytest

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

OF_A_VERSION = {
    "GET": "getConnection getMeterData getPrognosis getService",
    "POST": "postMeterData postPriceData postPrognosis postWeatherData",
}
OF_DEVICES = {"GET": "getDeviceMessage", "POST": "postUdiEvent"}

# By prefix and method, as in the table; 1 stands for an id.
DOCUMENTED = {
    "": [{"GET": "", "POST": "requestAuthToken"}],
    "v1": [{"GET": "getMeterData getService", "POST": "getMeterData postMeterData"}],
    "v1_1": [OF_A_VERSION],
    "v1_2": [OF_A_VERSION, OF_DEVICES],
    "v1_3": [OF_A_VERSION, OF_DEVICES],
    "v2_0": [
        OF_A_VERSION,
        OF_DEVICES,
        {
            "GET": "asset/1 assets charts/power user/1 users",
            "POST": "assets",
            "PATCH": "asset/1 user/1 user/1/password-reset",
            "DELETE": "asset/1",
        },
    ],
}


def paths():
    """Each documented path with the methods that it takes."""
    taken = {}
    for prefix, tables in DOCUMENTED.items():
        for table in tables:
            for method, names in table.items():
                for name in names.split(" "):
                    taken.setdefault("/".join(filter(None, ["/api", prefix, name])), set()).add(method)
    return taken


PATHS = paths()
RESET = "/api/v2_0/user/1/password-reset"

# What came with a later version, by the versions that lack it.
ABSENT = {
    "": "getService getMeterData postMeterData assets",
    "v1": "getConnection getPrognosis postPrognosis postPriceData postWeatherData getDeviceMessage postUdiEvent assets",
    "v1_1": "getDeviceMessage postUdiEvent assets asset/1 users",
    "v1_2": "assets asset/1 users user/1 charts/power",
    "v1_3": "assets asset/1 users user/1 charts/power",
    "v3_0": "getService",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_takes_its_methods_and_no_others(client, cast, path):
    """A documented method is answered by its service, another one with 405 and those that are allowed."""
    is_service = path.rsplit("/", 1)[1].startswith(("get", "post"))
    for method in METHODS:
        answer = client.open(path if path != "/api" else "/api/", method=method)
        if method in PATHS[path]:
            assert answer.status_code in (200, 400, 401), method
        elif path == RESET and method == "GET":
            # read as an id that something follows, which says more: UNEXPECTED_PARAMS
            assert answer.status_code == 401
        else:
            assert (answer.status_code, answer.json["status"]) == (
                405,
                "INVALID_METHOD" if is_service else 405,
            )
            assert PATHS[path] <= set(answer.headers["Allow"].split(", ")) - {method}
            assert f"You sent {method}; use " in answer.json["message"]
            assert all(one in answer.json["message"] for one in PATHS[path])


@pytest.mark.parametrize(
    "path", [f"{prefix}/{name}" for prefix in ABSENT for name in ABSENT[prefix].split(" ")]
)
def test_a_version_has_only_its_services(owner, path):
    """What came with a later version is not found in an earlier one, nor without a version."""
    for method in METHODS:
        url = f"/api/{path.lstrip('/')}"
        answer = owner.client.open(url, method=method, headers=owner.headers, json={})
        assert (answer.status_code, answer.json["status"]) == (404, 404)


def test_the_entrance_is_a_folder(client):
    """Without its slash the entrance leads to the address with it."""
    answer = client.get("/api")
    assert (answer.status_code, answer.headers["Location"]) == (308, "http://localhost/api/")
