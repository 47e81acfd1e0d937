"""Starts Patroni: python3 pgops_patroni.py [ARGUMENT…], with the arguments of `patroni`."""

import os
import sys

HOME = os.path.dirname(os.path.abspath(__file__))


def load_openssl() -> None:
    """Has OpenSSL read the bundle's settings, and no process that Patroni starts."""
    image_settings = os.environ.get("OPENSSL_CONF")
    os.environ["OPENSSL_CONF"] = os.path.join(HOME, "bin", "openssl.cnf")
    try:
        import ssl

        # The settings are read once, at the latest by the first context.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    finally:
        if image_settings is None:
            del os.environ["OPENSSL_CONF"]
        else:
            os.environ["OPENSSL_CONF"] = image_settings


def main() -> None:
    load_openssl()

    import pgops_data
    import pgops_dates
    import pgops_waits
    from patroni.__main__ import main as patroni

    pgops_data.install()
    pgops_dates.install()
    pgops_waits.install()
    sys.argv[0] = "patroni"
    patroni()


# Patroni starts PostgreSQL from a second interpreter, which imports this file under another name.
if __name__ == "__main__":
    main()
