"""AWS's Price List API and the one EC2 call beside it, as far as prices go: moto has no price list."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

SPOT = """<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<spotPriceHistorySet>{}</spotPriceHistorySet></DescribeSpotPriceHistoryResponse>"""
NO_RIGHT = (
    "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>"
)
ZONE = "<item><instanceType>{}</instanceType><availabilityZone>{}</availabilityZone><spotPrice>{}</spotPrice></item>"


@dataclass
class PriceList:
    """Tests set what is asked for an instance type. Answers are as strict as the filters: all seven must be there."""

    on_demand: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """Instance type → the price of an hour by currency, one for each product."""
    reserved: dict[str, dict[str, str]] = field(default_factory=dict)
    """Instance type → "1yr"/"3yr" → USD an hour with nothing up front."""
    spot: dict[str, dict[str, str]] = field(default_factory=dict)
    """Instance type → zone → USD an hour."""
    refuses_spot: bool = False
    """As where the right ec2:DescribeSpotPriceHistory is missing."""
    refuses: str = ""
    """An error code for every call."""
    regions: list[str] = field(default_factory=list)
    """Those that the price list was asked about."""
    url: str = ""

    def products(self, request: dict[str, Any]) -> list[str]:
        asked = {entry["Field"]: entry["Value"] for entry in request["Filters"]}
        kind = asked.pop("instanceType")
        self.regions.append(asked.pop("regionCode"))
        assert asked == {
            "operatingSystem": "Linux", "preInstalledSw": "NA", "tenancy": "Shared", "capacitystatus": "Used",
            "marketoption": "OnDemand",
        }  # fmt: skip
        terms = [self._reserved(length, usd, "No Upfront") for length, usd in self.reserved.get(kind, {}).items()]
        terms += [self._reserved("3yr", "0.5", "All Upfront")]
        found = [
            {
                "product": {"attributes": {"instanceType": kind}},
                "terms": {"OnDemand": {"o": self._offer(price)}, "Reserved": {str(n): t for n, t in enumerate(terms)}},
            }
            for price in self.on_demand.get(kind, [])
        ]
        return [json.dumps(product) for product in found]

    def _offer(self, price: dict[str, str]) -> dict[str, Any]:
        return {"priceDimensions": {"d": {"unit": "Hrs", "pricePerUnit": price}}, "termAttributes": {}}

    def _reserved(self, length: str, usd: str, paid: str) -> dict[str, Any]:
        said = {"LeaseContractLength": length, "OfferingClass": "standard", "PurchaseOption": paid}
        return {**self._offer({"USD": usd}), "termAttributes": said}

    def history(self, kind: str) -> str:
        return SPOT.format("".join(ZONE.format(kind, zone, usd) for zone, usd in self.spot.get(kind, {}).items()))

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead boto3 here."""
        return {
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url, "AWS_MAX_ATTEMPTS": "1",
        }  # fmt: skip

    @contextmanager
    def serving(self) -> Iterator[PriceList]:
        """On a free port of loopback until the block ends."""
        price_list = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if price_list.refuses:
                    return self._answer(400, json.dumps({"__type": price_list.refuses, "message": "no"}))
                if "X-Amz-Target" not in self.headers and price_list.refuses_spot:
                    return self._answer(403, NO_RIGHT, "text/xml")
                if "X-Amz-Target" not in self.headers:
                    [kind] = parse_qs(body.decode())["InstanceType.1"]
                    return self._answer(200, price_list.history(kind), "text/xml")
                assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
                products = price_list.products(json.loads(body))
                return self._answer(200, json.dumps({"FormatVersion": "aws_v1", "PriceList": products}))

            def _answer(self, status: int, text: str, kind: str = "application/x-amz-json-1.1") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
