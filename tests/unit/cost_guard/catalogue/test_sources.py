"""Every figure of the two sources, in the order in which they stand there, and the claim that answers for it."""

from __future__ import annotations

from cost_guard.catalogue.claims import load_claims

# What a reader meets, line by line, in the sources' own words → ids of data/claims.toml.
NEURALROUTING = [
    ("fractions of a cent per 1,000 tokens", ["self-hosted-per-1000"]),
    ("OpenAI charges dollars", ["openai-dollars"]),
    ("$150–250k/year fully loaded", ["engineer-low", "engineer-high", "engineer-3500"]),
    ("20% allocation, $30–50k/year", ["engineer-year-low", "engineer-year-high"]),
    ("at least 2 GPU instances; doubling your GPU cost", ["redundancy-doubles", "two-nodes"]),
    ("20% of your use cases require frontier model quality", ["frontier-20", "break-even-displaced"]),
    ("Lambda Labs 8× A100 80GB $7,920/mo", ["node-lambda"]),
    ("AWS p4d.24xlarge 8× A100 ~$9,800/mo", ["node-aws"]),
    ("Vast.ai (spot) 8× A100 $3,200–5,500/mo", ["node-vast-low", "node-vast-high"]),
    ("RunPod (secure) 8× A100 $5,600/mo", ["node-runpod"]),
    ("70B (in FP16) requires ~140GB VRAM", ["vram-70b"]),
    ("2× A100 80GB is the minimum", ["gpus-70b"]),
    ("2 redundant 8×A100 nodes = $15,840/month", ["two-nodes"]),
    ("ML infra engineer (20% allocation) $3,500", ["engineer-3500", "overhead"]),
    ("monitoring $200; storage, networking, egress $400; total overhead $4,100/mo", ["overhead"]),
    ("$15,840/mo + $4,100/mo = $19,940/mo", ["total"]),
    ("500M tokens/month (realistic for a mid-size product)", ["mid-size-product"]),
    ("500M tokens × $5/M = $2,500/month", ["api-500m", "api-500m-routed"]),
    ("$19,940 / $0.80 per M = 24.9 billion tokens/month", ["break-even-routed"]),
    ("24.9 billion: a mid-size enterprise AI product", ["mid-size-enterprise"]),
    ("$19,940 / $5 per M = 3.99 billion tokens/month", ["break-even-gpt4o"]),
    ("the break-even point is 6× higher", ["six-times"]),
    ("cheap hosted models ($0.06–0.12/M tokens)", ["cheap-models", "routing-97"]),
    ("volume exceeds 5 billion/month AND dedicated ML infra resources", ["rule-5b", "rule-80k"]),
    ("stay: volume is under 5 billion", ["rule-20k"]),
    ("API spend (with routing) < $20k", ["rule-20k", "rule-5b"]),
    ("$20k–$80k: self-hosting is premature", ["rule-80k-window"]),
    ("> $80k: run the hybrid model analysis", ["rule-80k"]),
    ("70–97% cost reduction", ["routing-saving", "routing-97"]),
    ("up to 80% on token costs", ["up-to-80"]),
]
WAWANDCO = [
    (
        "between 2 billion and 5 billion tokens per month",
        ["tldr-low", "tldr-high", "tldr-table-low", "tldr-table-high"],
    ),
    ("cuts AI infrastructure spend by 40–70%", ["hybrid-saving"]),
    ("March AI bill: $47,000", ["fintech", "fintech-growth"]),
    ("growing 15% month-over-month", ["fintech-growth"]),
    ("$50K/month on APIs", ["napkin-bill"]),
    ("a GPU server costs $15K/month", ["napkin-server"]),
    ("we save $35K/month", ["napkin-saving"]),
    ("70B in FP16: roughly 140 GB of VRAM", ["vram-70b"]),
    ("Lambda $7,920, p4d ~$9,800, RunPod $5,600", ["node-lambda", "node-aws", "node-runpod"]),
    ("Vast.ai $3,200–$5,500", ["node-vast-low", "node-vast-high"]),
    ("two nodes, $15,840/month", ["two-nodes", "redundancy-doubles"]),
    ("another $400–$600/month; baseline $17,000–$20,000/month", ["baseline-low", "baseline-high"]),
    ("$150,000–$250,000/year, 20%, $30,000–$50,000/year", ["engineer-year-low", "engineer-year-high"]),
    ("$2,500–$4,200/month", ["engineer-low", "engineer-high"]),
    ("understate maintenance overhead by 50–70%", ["understated-50", "understated-70"]),
    ("even 20% of your traffic requires a frontier model", ["frontier-20"]),
    ("around $19,000–$22,000", ["total-a1-low", "total-a1-high"]),
    ("$20,000 / $0.80 per M = 25 billion", ["break-even-a1", "break-even-a1-low", "break-even-a1-high"]),
    ("18–20 billion words", ["words"]),
    ("360,000 pages every single day", ["pages"]),
    ("vary by an order of magnitude", ["order-of-magnitude"]),
    ("GPT-4o class $5–$15/M: 5B–15B", ["tier-gpt4o-low", "tier-gpt4o-high"]),
    ("Llama 3.3 70B ~$0.59–$1.00/M: 500M–2B", ["tier-70b-low", "tier-70b-high"]),
    ("Llama 3.3 8B ~$0.05–$0.18/M: 2B–8B", ["tier-8b-low", "tier-8b-high"]),
    ("smaller models: the threshold drops dramatically", ["smaller-models"]),
    ("$8,000/month, an 83% reduction", ["fintech"]),
    ("three V100s; electricity roughly $35/month", ["v100-electricity"]),
    ("API spend $200–$400/month; paid for itself in under six months", ["v100-low", "v100-high"]),
    ("hybrid: 40–70% cost reductions", ["hybrid-saving"]),
    ("24 months: $515,000, $120,000, total $635,000+", ["tco-cloud"]),
    ("24 months: $45,000, $180,000, $120,000, total $345,000", ["tco-self-hosted"]),
    ("engineering labor $120,000", ["tco-labor"]),
    ("the crossover happens around month 9", ["crossover-month"]),
    ("before that, cloud is cheaper", ["before-month-9"]),
    ("after month 18, the savings become substantial", ["after-month-18"]),
    ("by month 24, saved roughly $280,000", ["tco-saving"]),
    ("the gap widens every month", ["gap-widens"]),
    ("self-hosted costs are asymptotic", ["asymptotic"]),
    ("vLLM delivers 2–4× throughput", ["vllm-speed"]),
    ("under 2,000 lines of Go, inference costs by half", ["go-gateway"]),
]
# Left out, because they claim nothing that costs decide: dates and reading times, model names, "2 AM", the alert on a
# p99 above 100 ms, "10B+ parameter models", and the authors' twelve years.


def test_every_figure_has_its_claim() -> None:
    """None is forgotten: each line of both lists names claims that exist and are of that source."""
    claims = {one.claim.id: one.claim for one in load_claims()}
    for source, figures in (("NeuralRouting", NEURALROUTING), ("Wawandco", WAWANDCO)):
        for figure, names in figures:
            assert names, figure
            assert all(name in claims for name in names), figure
            assert any(source in claims[name].source for name in names), figure


def test_every_claim_answers_for_a_figure() -> None:
    """The data file holds nothing that neither source says."""
    named = {name for _, names in (*NEURALROUTING, *WAWANDCO) for name in names}
    assert {one.claim.id for one in load_claims()} == named
