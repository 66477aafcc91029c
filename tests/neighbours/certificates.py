"""Certificates for servers of tests, by openssl: authorities, and what they sign. All in one folder, as PEM files."""
import os
import subprocess


class Certificates:
    def __init__(self, folder, authorities=("ca", "stranger")):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        for ca in authorities:
            self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + ca,
                         "-keyout", ca + ".key", "-out", ca + ".pem")

    def issue(self, name, subject, *others, ca="ca"):
        """name.pem: the certificate and its key, for the host `subject` and `others` (DNS:HOST, IP:ADDRESS)."""
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + subject, "-addext",
                     "subjectAltName=" + ",".join(("DNS:" + subject, *others)), "-keyout", name + ".key", "-out", name + ".csr")
        self.openssl("x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial",
                     "-days", "2", "-copy_extensions", "copy", "-out", name + ".crt")
        with open(self.at(name + ".pem"), "w") as out:
            for part in (name + ".crt", name + ".key"):
                with open(self.at(part)) as f:
                    out.write(f.read())
        return self.at(name + ".pem")

    def java_stores(self, name, password):
        """Of name.pem and of the authority ca, as Java reads them: the paths of a PKCS12 key store and a trust store."""
        keys, trust = self.at(name + ".p12"), self.at("ca.p12")
        self.openssl("pkcs12", "-export", "-in", name + ".pem", "-name", name, "-passout", "pass:" + password, "-out", keys)
        self.run("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem", "-keystore", trust,
                 "-storetype", "PKCS12", "-storepass", password)
        return keys, trust

    def at(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *words):
        self.run("openssl", *words)

    def run(self, *words):
        subprocess.run(words, cwd=self.folder, check=True, capture_output=True, timeout=60)
