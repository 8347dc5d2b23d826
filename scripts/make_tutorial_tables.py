"""Write the tables of the tutorial: two small CSV files of invented clients, and one draft with faults.

    python scripts/make_tutorial_tables.py ~/tongzhou-tutorial

makes the folders ``bank``, ``cardnet``, ``helper`` and ``post`` there, ``bank/clients.csv``,
``bank/clients-draft.csv`` and ``bank/applicants.csv``, and ``cardnet/payments.csv``. The same seed gives the
same files everywhere: only integer arithmetic and the standard generator are used. Nobody in these files
exists.
"""

import csv
import random
import sys
from pathlib import Path

CLIENTS = 5000
LACKING = 10
"""Each side lacks every tenth client or so, another tenth each."""

BANK = ["client_id", "income", "age", "years_employed", "default"]
CARD_NETWORK = ["client_id", "months_late", "utilisation", "cash_advances"]
APPLICANTS = 20
"""People who are not the bank's clients yet; the card network knows most of them."""
APPLICATION = ["client_id", "income", "age", "years_employed", "amount"]
FOLDERS = ("bank", "cardnet", "helper", "post")

Row = list[object]


def invent(chance: random.Random) -> tuple[Row, Row]:
    """One client, as the bank knows it and as the card network does.

    Both know a part of how strained the client is, which decides whether it defaults.
    """
    strain = chance.randrange(100)
    income = 2000 + 100 * chance.randrange(120) - 15 * strain + 1500
    age = 21 + chance.randrange(45)
    years: object = "" if chance.randrange(20) == 0 else min(age - 18, chance.randrange(1, 25))
    late = max(0, (strain + chance.randrange(50)) // 25 - 2)
    utilisation: object = (
        "" if chance.randrange(30) == 0 else min(100, max(0, strain + chance.randrange(-30, 31)))
    )
    advances = max(0, (strain + chance.randrange(-40, 41)) // 20)
    risk = 3 * strain + 60 * late + 10 * advances - income // 100 + (40 - age if age < 40 else 0)
    default = int(risk + chance.randrange(400) > 480)
    return [income, age, years, default], [late, utilisation, advances]


def tables() -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of the bank and of the card network, each with its own clients in its own order; applicants."""
    chance = random.Random(20261124)  # noqa: S311 - invented clients protect nothing
    bank: list[Row] = []
    network: list[Row] = []
    applicants: list[Row] = []
    for number in range(CLIENTS):
        own, other = invent(chance)
        if chance.randrange(LACKING):
            bank.append([f"C-{number:05}", *own])
        elif len(applicants) < APPLICANTS:
            applicants.append([f"C-{number:05}", *own[:-1], 1000 * chance.randrange(1, 60)])
        if chance.randrange(LACKING):
            # The card network writes the same identifiers in its own way.
            network.append([f" c-{number:05}", *other])
    chance.shuffle(bank)
    chance.shuffle(network)
    return bank, network, applicants


def draft(rows: list[Row]) -> list[Row]:
    """The bank's first attempt: a client twice, and a label that is neither 0 nor 1."""
    return [*rows[:100], rows[7], [*rows[100][:-1], 2], *rows[101:]]


def write(path: Path, header: list[str], rows: list[Row]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """Write everything below the folder that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/make_tutorial_tables.py FOLDER")
    folder = Path(sys.argv[1]).expanduser()
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    bank, network, applicants = tables()
    write(folder / "bank" / "clients.csv", BANK, bank)
    write(folder / "bank" / "clients-draft.csv", BANK, draft(bank))
    write(folder / "bank" / "applicants.csv", APPLICATION, applicants)
    write(folder / "cardnet" / "payments.csv", CARD_NETWORK, network)
    sys.stdout.write(
        f"{len(bank)} clients of the bank and {len(network)} of the card network are in {folder}\n"
    )


if __name__ == "__main__":
    main()
