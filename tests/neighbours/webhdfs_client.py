"""WebHDFS and HttpFS by Python's own http.client: a reader that is not ours to judge by, and what sets a scene from outside.

It follows the redirect to a DataNode itself, asks the next server where one is on standby or not there, and says a
RemoteException as it came (Refused).
"""
import contextlib
import http.client
import json
import ssl
import urllib.parse


class Refused(Exception):
    """An answer that is no success; `name` is the RemoteException's ("" : there was none), `message` its first line."""

    def __init__(self, what, status, body):
        self.status, self.name, self.message = status, "", body[:300].decode(errors="replace")
        try:
            said = json.loads(body)["RemoteException"]
            self.name, self.message = said.get("exception") or "", (said.get("message") or "").partition("\n")[0]
        except (ValueError, KeyError, TypeError):
            pass
        super().__init__("%s: %d %s %s" % (what, status, self.name, self.message))


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)


def connect(url, timeout, ca=None):
    """`ca`: the PEM file of the authority that is believed, of https://."""
    at = urllib.parse.urlsplit(url)
    if at.scheme == "https":
        return http.client.HTTPSConnection(at.hostname, at.port, timeout=timeout, context=ssl.create_default_context(cafile=ca))
    return http.client.HTTPConnection(at.hostname, at.port, timeout=timeout)


def ask(method, url, body=None, headers=None, timeout=30, ca=None):
    """One request as it stands; no redirect is followed, no answer judged."""
    at = urllib.parse.urlsplit(url)
    connection = connect(url, timeout, ca)
    try:
        with contextlib.suppress(BrokenPipeError):  # who refuses the rest of the body has answered
            connection.request(method, (at.path or "/") + ("?" + at.query if at.query else ""), body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def location(answer):
    """Where it redirects to."""
    if not answer.headers["Location"]:  # http.client takes a head that was cut for a whole one
        raise http.client.IncompleteRead(b"")
    return answer.headers["Location"]


class WebHdfs:
    """At `urls`, http://host:port of NameNodes of one nameservice or of HttpFS servers, as `user`."""

    def __init__(self, *urls, user, timeout=30, token=None, ca=None):
        """`token`: a delegation token, where `user` alone is not believed. `ca`: the authority's file, where it is https://."""
        self.urls, self.timeout, self.ca = list(urls), timeout, ca
        self.user, self.identity = user, {"delegation": token} if token else {"user.name": user}

    def url(self, at, path, op, **parameters):
        words = {"op": op, **self.identity, **{k: flat(v) for k, v in parameters.items() if v is not None}}
        return at + "/webhdfs/v1" + urllib.parse.quote(path) + "?" + urllib.parse.urlencode(words)

    def ask(self, method, url, body=None, **headers):
        return ask(method, url, body, headers, self.timeout, self.ca)

    def call(self, method, path, op, body=None, **parameters):
        """The answer after a redirect, if it is a success, of the first server that is neither dead nor on standby."""
        trouble = None
        for at in self.urls + (self.urls[:1] if method == "GET" else []):
            try:
                answer = self.ask(method, self.url(at, path, op, **parameters))
                if answer.status == 307:
                    answer = self.ask(method, location(answer), body, **{"Content-Type": "application/octet-stream"})
                if answer.status < 300:
                    return answer
                trouble = Refused("%s %s" % (op, path), answer.status, answer.body)
                # A DataNode whose NameNode was restarted says EOFException once.
                if trouble.name != "StandbyException" and not (method == "GET" and trouble.name == "EOFException"):
                    raise trouble
            except (OSError, http.client.HTTPException) as e:
                trouble = e
            self.urls.append(self.urls.pop(0))
        raise trouble

    def place(self, path, **parameters):
        """Where the first step of a CREATE sends to; of the first server only."""
        answer = self.ask("PUT", self.url(self.urls[0], path, "CREATE", **parameters))
        if answer.status != 307:
            raise Refused("CREATE " + path, answer.status, answer.body)
        return location(answer)

    # --- looking ---

    def status(self, path):
        """The FileStatus; None: there is nothing."""
        try:
            return self.call("GET", path, "GETFILESTATUS").json()["FileStatus"]
        except Refused as e:
            if e.name == "FileNotFoundException":
                return None
            raise

    def list(self, path):
        """The FileStatus of each in the directory, by name."""
        found = self.call("GET", path, "LISTSTATUS").json()["FileStatuses"]["FileStatus"]
        return {status["pathSuffix"]: status for status in found}

    def walk(self, path):
        """The FileStatus of each file below, by its path from there."""
        files = {}
        for name, status in self.list(path).items():
            if status["type"] == "DIRECTORY":
                files.update({name + "/" + below: s for below, s in self.walk(path.rstrip("/") + "/" + name).items()})
            else:
                files[name] = status
        return files

    def read(self, path, offset=None, length=None):
        return self.call("GET", path, "OPEN", offset=offset, length=length).body

    def summary(self, path):
        return self.call("GET", path, "GETCONTENTSUMMARY").json()["ContentSummary"]

    # --- setting a scene ---

    def create(self, path, data=b"", overwrite=False, **parameters):
        self.call("PUT", path, "CREATE", data, overwrite=overwrite, **parameters)

    def mkdirs(self, path, permission=None):
        return self.call("PUT", path, "MKDIRS", permission=permission).json()["boolean"]

    def rename(self, path, to):
        return self.call("PUT", path, "RENAME", destination=to).json()["boolean"]

    def delete(self, path, recursive=True):
        return self.call("DELETE", path, "DELETE", recursive=recursive).json()["boolean"]

    def set_permission(self, path, octal):
        self.call("PUT", path, "SETPERMISSION", permission=octal)

    def set_owner(self, path, owner=None, group=None):
        self.call("PUT", path, "SETOWNER", owner=owner, group=group)

    def set_quota(self, path, names=None, space=None):
        """`names` of files and directories, `space` in bytes times replicas; -1: none. The superuser's to do, at a
        NameNode: HttpFS has no such call."""
        self.call("PUT", path, "SETQUOTA", namespacequota=names, storagespacequota=space)


def flat(value):
    return str(value).lower() if isinstance(value, bool) else value
