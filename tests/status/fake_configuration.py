"""A configuration that is only shown."""

from datetime import UTC, datetime

from gateway.status.configuration_view import (
    AppliedChange,
    ConfigurationDraft,
    ConfigurationFile,
    ConfigurationForm,
    ConfigurationPlan,
    ConfigurationSection,
    DiffLine,
    Effect,
    FormField,
    FormPart,
    FormRow,
    PlannedPart,
    Saved,
    TextMistake,
    TextTooLarge,
)

TEXT = """\
# The plant <b>behind</b> the mill.
[cloud]
hardware_key = "******** (secret 1)"
telemetry_every = 30

[[adapter]]
type = "modbus"
name = "plant"
hosts = ["192.168.1.20"]
"""


WRONG = TextMistake(line=None, where="", wrong="has to be less <b>", right="")
CHANGED_LINES = (DiffLine("-", "telemetry_every = 30"), DiffLine("+", "telemetry_every = 60"))


class FakeConfiguration:
    """Every text without the word `wrong` is right."""

    def __init__(self):
        self.text = TEXT
        self.saved, self.undone, self.begun = [], [], []
        self.drafts, self.answers, self.removed, self.wrong = {}, {}, [], set()
        self.problem = self.fix = None
        self.change = None
        self.restart_keys = ()
        self.moves_to = ""
        self.save_problem = None

    async def file(self):
        return ConfigurationFile(
            name="/etc/xyte-gateway/gateway.toml", text=self.text, etag="tag-1", has_secrets=True, problem=self.problem,
            fix=self.fix or "", can_undo=True, undo_lines=CHANGED_LINES,
            restart_keys=self.restart_keys,
            elsewhere={"cloud.entry_url": "the environment variable XYTE_GATEWAY__CLOUD__ENTRY_URL"},
            change=self.change, moves_to=self.moves_to,
        )  # fmt: skip

    async def check(self, text, *, etag="", plans=True):
        if len(text) > 1_000_000:
            raise TextTooLarge("This text has more than 1000 kB.")
        wrong = [at for at, line in enumerate(text.splitlines(), 1) if "wrong" in line]
        mistakes = [
            TextMistake(line=at, where="cloud.colour", wrong="no such key", right="Known here: <i>name</i>") for at in wrong
        ]
        warnings = [TextMistake(line=4, where="cloud.telemetry_every", wrong="is rare", right="Take 30", is_warning=True)]
        parts = (
            PlannedPart(key="cloud.telemetry_every", before="30", after="60", effect=Effect.AT_ONCE),
            PlannedPart(
                key="adapter.plant.hosts", before="", after="192.168.1.<b>21", effect=Effect.REOPENS,
                note="Reopened: plant, and 12 devices are read again after some seconds.",
            ),
            PlannedPart(key="status.port", before="8080", after="8443", effect=Effect.RESTART),
        )  # fmt: skip
        moves = "This page moves when the gateway restarts: from http://127.0.0.1:8080 to http://127.0.0.1:8443."
        lines = (DiffLine(" ", "[cloud]"), DiffLine("-", "telemetry_every = 30"), DiffLine("+", "telemetry_every = 60"))
        return ConfigurationDraft(
            id="draft-1", etag="tag-2", text=text, is_outdated=False, mistakes=mistakes, warnings=warnings,
            plan=None if mistakes else ConfigurationPlan(parts=parts, warnings=(moves,), lines=lines), trials=(), is_trying=False,
        )  # fmt: skip

    async def edit(self, text, *, draft=None, etag=""):
        self.drafts["draft-1"] = await self.check(text)
        return self.drafts["draft-1"]

    async def draft(self, draft):
        return self.drafts.get(draft)

    async def discard(self, draft):
        self.drafts.pop(draft, None)

    async def save_draft(self, draft, *, by, over=""):
        if draft not in self.drafts:
            return Saved(problem="This draft is not kept any more.")
        if self.save_problem is not None:
            return Saved(problem=self.save_problem)
        self.saved.append((self.drafts.pop(draft).text, by))
        self.change = AppliedChange(at=datetime.now(UTC), what="cloud.telemetry_every", by=by, problem=None, is_watched=True)
        self.restart_keys = ("status.port",)
        return Saved(restart_keys=self.restart_keys)

    async def save(self, text, *, etag, by):
        if etag != "tag-1":
            return Saved(problem="The file has changed.", is_conflict=True)
        if "wrong" in text:
            return Saved(problem="The text has mistakes.")
        self.saved.append((text, by))
        return Saved(restart_keys=("status.port",))

    async def undo(self, *, by):
        self.undone.append(by)
        return Saved()

    async def try_draft(self, draft):
        return None

    def begin_anew(self, *, by):
        self.begun.append(by)

    async def sections(self, *, draft=None):
        return (
            ConfigurationSection(
                name="plant <b>", at=("adapter", 0), description="[[adapter]] of type modbus", facts="1 host", can_remove=True
            ),
            ConfigurationSection(name="modbus", at=("adapter", 1), description="", facts="", kind="modbus"),
            ConfigurationSection(name="cloud", at=("cloud",), description="which cloud", facts="hardware key"),
        )

    async def form(self, at, *, draft=None, kind=""):
        if tuple(at) not in (("cloud",), ("adapter", 0)):
            return None
        fields = (
            FormField(
                key="telemetry_every", kind="number", description="telemetry interval in seconds, 5 to 120", value="60",
                is_set=True, default="30", minimum="5", maximum="120", unit="s",
            ),
            FormField(key="hardware_key", kind="secret", description="the <i>secret</i>", value="", is_set=True),
            FormField(key="may", kind="choice", description="rights", value="", is_set=False, choices=("observe", "command")),
            FormField(key="incidents", kind="boolean", description="whether", value="", is_set=False, default="true"),
            FormField(key="file_hosts", kind="lines", description="hosts", value="a\nb", is_set=True),
            FormField(
                key="entry_url", kind="text", description="server", value="https://x", is_set=True,
                from_elsewhere="the environment",
            ),
        )  # fmt: skip
        rows = [FormRow(name=f"192.168.1.{number} <i>", at=("adapter", 0, "hosts", number)) for number in range(30)]
        parts = (FormPart(key="hosts", description="TCP hosts", rows=rows, new_at=("adapter", 0, "hosts", 30)),)
        return ConfigurationForm(
            at=tuple(at), title="cloud <b>", fields=fields, parts=parts if at[0] == "adapter" else (), etag="tag-1", draft=draft,
            is_new=False, mistakes={"telemetry_every": [WRONG]} if draft in self.wrong else {},
        )  # fmt: skip

    async def fill_in(self, at, answers, *, draft, etag, kind=""):
        self.answers = dict(answers)
        if answers.get("telemetry_every") == "x":
            return {"telemetry_every": "has to be a number"}
        return await self.edit(TEXT)

    async def remove(self, at, *, draft, etag):
        self.removed.append(tuple(at))
        return await self.edit(TEXT)
