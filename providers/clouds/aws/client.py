"""AWS' API by boto3, which is imported at the first question: its errors become those of `providers.errors`, by code.

What AWS says in words is not shown where it refuses credentials: it may quote the request that was signed.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from providers.clouds.aws.config import AwsConfig
from providers.errors import CloudError, InvalidRequest, NotFound, RateLimited, Unauthorized, Unavailable

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

RIGHTS_PAGE = "docs/reference/clouds/aws.md"
LOG_IN = "log in anew (aws sso login, or new keys)"
IAM = {"service-quotas": "servicequotas"}
"""Services whose rights have another name than the client."""

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
REFUSED = frozenset(
    {"AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException",
     "MissingAuthenticationToken", "SignatureDoesNotMatch", "UnrecognizedClientException"}
)  # fmt: skip
NO_RIGHT = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})
DISABLED = frozenset({"OptInRequired", "RegionDisabledException"})
THROTTLED = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestThrottled",
     "RequestThrottledException", "PriorRequestNotComplete"}
)  # fmt: skip
ABSENT = frozenset({"NoSuchResourceException"})
ABSENT_ENDING = ".NotFound"
"""EC2's codes for what does not exist: InvalidInstanceID.NotFound, InvalidVolume.NotFound."""
SECRET = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b|[A-Za-z0-9/+=]{40,}")


class AwsClient:
    """One session for the whole process. Every error begins with "aws <region>: "."""

    def __init__(
        self,
        config: AwsConfig,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config = config
        self.clock = clock
        self.sleep = sleep
        self._guard = threading.Lock()  # a session is not to be shared by threads, its clients are
        self._session: Any = None
        self._allowed = False
        self._clients: dict[tuple[str, str], Any] = {}

    def ask(self, service: str, operation: str, region: str, **arguments: Any) -> dict[str, Any]:
        """The answer, of all pages. `operation` in boto3's words: describe_instances. Raises CloudError."""
        from botocore.exceptions import BotoCoreError, ClientError  # to start faster, as all of boto3 here

        try:
            client = self._client(service, region)
            answer: dict[str, Any]
            if client.can_paginate(operation):
                answer = client.get_paginator(operation).paginate(**arguments).build_full_result()
            else:
                answer = getattr(client, operation)(**arguments)
        except ClientError as e:
            name = client.meta.method_to_api_mapping[operation]
            raise _refusal(e, f"{IAM.get(service, service)}:{name}", region) from None
        except BotoCoreError as e:
            raise _unreached(e, service, region) from None
        return answer

    def _client(self, service: str, region: str) -> Any:
        import boto3  # to start faster
        from botocore.config import Config

        with self._guard:
            if self._session is None:
                self._session = boto3.session.Session(region_name=self.config.home)
                # Asked once: where there are none, each look waits for an instance's metadata service.
                self._allowed = self._session.get_credentials() is not None
            if not self._allowed:
                raise Unauthorized(
                    f"aws {region}: no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                )
            if (service, region) not in self._clients:
                # AWS' own client repeats what was throttled, with pauses; nothing here creates.
                config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=30)
                self._clients[service, region] = self._session.client(service, region_name=region, config=config)
            return self._clients[service, region]


def _refusal(error: ClientError, right: str, region: str) -> CloudError:
    """What AWS answered, by its code."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    where = f"aws {region}: "
    if code in EXPIRED:
        return Unauthorized(f"{where}the credentials have expired ({code}): {LOG_IN}; else check this computer's clock")
    if code in REFUSED:
        return Unauthorized(
            f"{where}AWS does not accept the credentials ({code}): {LOG_IN}, or enable the region for the account"
        )
    if code in DISABLED:
        return Unauthorized(f"{where}the account has not enabled this region ({code}): enable it, or choose another")
    if code in NO_RIGHT:
        return Unauthorized(f"{where}the credentials lack the right {right} ({code}): grant it, see {RIGHTS_PAGE}")
    if code in THROTTLED or status == 429:
        return RateLimited(f"{where}{right} was refused for too many requests ({code}), also later: try again")
    said = SECRET.sub("…", " ".join(str(error.response.get("Error", {}).get("Message", "")).split()))[:300]
    if code in ABSENT or code.endswith(ABSENT_ENDING):
        return NotFound(f"{where}{said or code}")
    if status >= 500:
        return Unavailable(
            f"{where}{right} failed at AWS ({code}, HTTP {status}): try again, or see health.aws.amazon.com"
        )
    return InvalidRequest(f"{where}{right} was refused ({code}): {said}")


def _unreached(error: BotoCoreError, service: str, region: str) -> CloudError:
    """What went wrong before AWS answered, by boto3's class."""
    from botocore import exceptions as boto  # to start faster

    where, kind = f"aws {region}: ", type(error).__name__
    if isinstance(error, boto.ProfileNotFound):
        return Unauthorized(f"{where}there is no such profile in the AWS configuration: correct AWS_PROFILE")
    if isinstance(error, boto.SSOError | boto.TokenRetrievalError | boto.LoginError):
        return Unauthorized(f"{where}the login is over or missing ({kind}): {LOG_IN}")
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return Unauthorized(
            f"{where}no usable credentials ({kind}): set AWS_PROFILE, or both keys of AWS_ACCESS_KEY_ID"
        )
    if isinstance(error, boto.HTTPClientError | boto.EndpointConnectionError | boto.ConnectionError):
        return Unavailable(
            f"{where}{service} does not answer ({kind}): is the way out open, and the region's name right?"
        )
    return InvalidRequest(f"{where}{service} cannot be asked ({kind}): {SECRET.sub('…', str(error))[:200]}")
