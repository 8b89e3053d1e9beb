import pytest

from sunup.settings import Settings, SettingsError, region_of

RDS = "app.cluster-abc123.eu-central-1.rds.amazonaws.com"


def read(**environ: str) -> Settings:
    return Settings.from_environment(environ)


def test_the_defaults_are_aurora_s() -> None:
    settings = read(DB_HOST=RDS)
    assert (settings.port, settings.user, settings.database) == (5432, "postgres", "postgres")
    assert settings.sslmode == "verify-full"
    assert settings.idle_session_timeout == 60
    assert settings.gateway_timeout == 30
    assert settings.uses_token


def test_every_variable_is_read() -> None:
    settings = read(
        DB_HOST="db.example.com",
        DB_PORT="6432",
        DB_USER="app",
        DB_NAME="shop",
        DB_PASSWORD="secret",
        DB_SSLMODE="verify-ca",
        DB_SSLROOTCERT="/etc/ca.pem",
        DB_POOL_SIZE="7",
        DB_IDLE_SESSION_TIMEOUT="0",
        DB_CONNECT_TIMEOUT="2.5",
        AWS_REGION="us-east-1",
        GATEWAY_TIMEOUT="29",
        LOG_LEVEL="debug",
        TZ="Asia/Tokyo",
        SUNUP_APP="main:app",
    )
    assert settings == Settings(
        host="db.example.com",
        port=6432,
        user="app",
        database="shop",
        password="secret",
        region="us-east-1",
        sslmode="verify-ca",
        sslrootcert="/etc/ca.pem",
        pool_size=7,
        idle_session_timeout=0,
        connect_timeout=2.5,
        gateway_timeout=29,
        log_level="DEBUG",
        timezone="Asia/Tokyo",
        app="main:app",
    )
    assert not settings.uses_token


def test_the_region_of_the_cluster_is_in_its_host_name_and_wins() -> None:
    assert read(DB_HOST=RDS, AWS_REGION="us-east-1").region == "eu-central-1"
    assert region_of("x.y.cn-north-1.rds.amazonaws.com.cn") == "cn-north-1"
    assert region_of("x.y.us-gov-west-1.rds.amazonaws.com") == "us-gov-west-1"
    assert region_of("rds.amazonaws.com.example.com") is None


def test_a_process_on_lambda_has_one_connection_and_a_laptop_a_few() -> None:
    assert read(DB_HOST=RDS).pool_size == 5
    assert read(DB_HOST=RDS, AWS_LAMBDA_FUNCTION_NAME="f").pool_size == 1


def test_lambda_s_own_form_of_a_time_zone_is_understood() -> None:
    assert read(TZ=":UTC").timezone == "UTC"
    assert read(TZ="JST-9").timezone == "JST-9"


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read(DB_HOST=RDS, DB_PORT="", DB_USER=" ", DB_PASSWORD="").user == "postgres"


def test_a_unix_socket_needs_neither_tls_nor_token() -> None:
    settings = read(DB_HOST="/tmp/socket")
    assert settings.sslmode == "disable"
    assert not settings.uses_token


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"DB_PORT": "abc"}, "DB_PORT is 'abc'; expected a whole number from 1 to 65535"),
        ({"DB_PORT": "70000"}, "DB_PORT is '70000'"),
        ({"DB_PORT": "5432.5"}, "DB_PORT is '5432.5'"),
        ({"DB_PORT": "\u0665"}, "DB_PORT is"),
        ({"DB_POOL_SIZE": "0"}, "DB_POOL_SIZE is '0'"),
        ({"DB_IDLE_SESSION_TIMEOUT": "-1"}, "DB_IDLE_SESSION_TIMEOUT is '-1'"),
        ({"DB_CONNECT_TIMEOUT": "inf"}, "DB_CONNECT_TIMEOUT is 'inf'"),
        ({"DB_SSLMODE": "on"}, "DB_SSLMODE is 'on'; expected one of disable, allow"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'loud'; expected one of DEBUG"),
        ({"TZ": "Asia/Toyko"}, "TZ is 'Asia/Toyko'; expected the name of a time zone"),
        ({"DB_HOST": "db.example.com:5432"}, "DB_HOST is 'db.example.com:5432'; expected one host"),
        ({"DB_HOST": "db.example.com"}, "AWS_REGION is not set; expected the cluster's region"),
        (
            {"DB_HOST": RDS, "DB_SSLMODE": "require"},
            "DB_SSLMODE is 'require'; expected verify-full",
        ),
        ({"DB_HOST": "h.example.com", "DB_SSLMODE": "disable"}, "DB_SSLMODE is 'disable'"),
    ],
)
def test_a_wrong_value_names_the_variable_what_was_found_and_what_is_expected(
    environ: dict[str, str], says: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**environ)
    assert str(raised.value).startswith(says)


def test_a_url_as_host_is_refused_without_repeating_its_password() -> None:
    with pytest.raises(SettingsError) as raised:
        read(DB_HOST="postgresql://me:geheim@host/db")
    assert "geheim" not in str(raised.value)


def test_the_password_is_not_in_the_representation() -> None:
    assert "geheim" not in repr(read(DB_HOST="localhost", DB_PASSWORD="geheim"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.0.9", "::1", "db", "my-db_1"])
def test_a_local_server_may_go_without_verification_when_told_so(host: str) -> None:
    assert read(DB_HOST=host, DB_PASSWORD="x", DB_SSLMODE="disable").sslmode == "disable"
    assert read(DB_HOST=host, DB_PASSWORD="x").sslmode == "verify-full"


@pytest.mark.parametrize(
    "host",
    [
        "127.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.256",
        "128.0.0.1",
        "134744072",  # 8.8.8.8, as inet_aton reads it
        "0x08080808",
        "evil\u3002example",  # IDNA's other dot
        "2001:db8::1",
        "::10",
    ],
)
def test_a_server_elsewhere_is_not_taken_for_a_local_one(host: str) -> None:
    assert not Settings(host=host).is_local
    with pytest.raises(SettingsError, match="DB_SSLMODE"):
        read(DB_HOST=host, DB_PASSWORD="x", DB_SSLMODE="require")


def test_a_socket_s_folder_has_no_second_host_behind_it() -> None:
    assert Settings(host="/tmp/socket").is_local
    assert not Settings(host="/tmp/socket,evil.example").is_local
    with pytest.raises(SettingsError, match="DB_HOST is 'not a name'; expected one host"):
        read(DB_HOST="/tmp/socket,evil.example")


def test_a_database_without_a_host_is_a_clear_error() -> None:
    with pytest.raises(SettingsError, match="DB_HOST is not set"):
        read().check_database()
