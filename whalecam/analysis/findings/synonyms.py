"""Names that may mean one animal and are no misspellings of one another, so that a person must say.

Vernacular names as in the World Register of Marine Species; `globis` is the Happywhale table's own, short for the
genus *Globicephala*, the pilot whales, and most who used that table merged the three names.
"""

SYNONYMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("pilot whales, genus Globicephala", ("globis", "pilot_whale", "short_finned_pilot_whale")),
    ("Orcinus orca", ("killer_whale", "orca")),
    ("Pseudorca crassidens", ("false_killer_whale", "false_orca", "pseudorca")),
    ("Delphinapterus leucas", ("beluga", "beluga_whale", "white_whale")),
    ("Megaptera novaeangliae", ("humpback_whale", "humpback")),
    ("Eschrichtius robustus", ("gray_whale", "grey_whale")),
    ("Balaenoptera physalus", ("fin_whale", "finback", "finback_whale", "finner")),
    ("Physeter macrocephalus", ("sperm_whale", "cachalot")),
    ("Tursiops truncatus", ("bottlenose_dolphin", "common_bottlenose_dolphin", "bottlenose")),
    ("Ziphius cavirostris", ("cuviers_beaked_whale", "goose_beaked_whale")),
    ("Peponocephala electra", ("melon_headed_whale", "electra_dolphin")),
    ("right whales, genus Eubalaena", ("right_whale", "north_atlantic_right_whale", "southern_right_whale")),
    ("minke whales", ("minke_whale", "common_minke_whale", "dwarf_minke_whale")),
)
"""What the names may all mean, and the names. Two of one line in a data set are a question."""
