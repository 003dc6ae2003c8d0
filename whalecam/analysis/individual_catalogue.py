"""The catalogue of a run's individuals: their images and encounters, and how often each is matched right."""

import pandas as pd

COLUMNS = ("individual", "images", "encounters", "looked_up", "right", "resting", "taken_for")


def catalogue(images: pd.DataFrame, matches: pd.DataFrame, resting: pd.Series) -> pd.DataFrame:
    """One row per individual, those whose images were most often matched to others first.

    Args:
        images: `image`, `individual`, `encounter`; "" where one is unknown. Images of nobody known are left out.
        matches: one row per image that was looked up: `query`, `individual`, `matched`, `is_right`.
        resting: of each match, whether it rests on the background.

    Returns: COLUMNS: counts of `images`, of known `encounters`, of images that were `looked_up`, matched `right` and of
    matches `resting` on the background; `taken_for`, the other individual that most of them were matched to, "" where
    there is none.
    """
    known = images[images["individual"] != ""].drop_duplicates("image")
    rows = known.groupby("individual").size().to_frame("images")
    rows["encounters"] = known[known["encounter"] != ""].groupby("individual")["encounter"].nunique()
    matches = matches.assign(resting=resting.to_numpy(bool))
    matches = matches[matches["individual"].isin(rows.index)]
    own = matches.groupby("individual")
    rows["looked_up"] = own["query"].size()
    rows["right"] = own["is_right"].sum()
    rows["resting"] = own["resting"].sum()
    wrong = matches[matches["is_right"].eq(other=False) & matches["matched"].ne("")]  # None is neither
    pairs = wrong.groupby(["individual", "matched"]).size().sort_values(ascending=False, kind="stable").reset_index()
    rows["taken_for"] = pairs.drop_duplicates("individual").set_index("individual")["matched"]
    counts = ["encounters", "looked_up", "right", "resting"]
    rows[counts] = rows[counts].fillna(0).astype(int)
    rows["taken_for"] = rows["taken_for"].fillna("")
    rows = rows.rename_axis("individual").reset_index()
    rows["mistakes"] = rows["looked_up"] - rows["right"]
    order = {"mistakes": False, "images": False, "individual": True}
    return rows.sort_values(list(order), ascending=list(order.values()), ignore_index=True)[list(COLUMNS)]


def images_of(images: pd.DataFrame, matches: pd.DataFrame, name: str) -> pd.DataFrame:
    """The images of an individual by encounter, with the match of each.

    Returns: `image`, `encounter`, `part`, `matched`, `is_right`; the last two missing where it was not looked up.
    """
    own = images[images["individual"] == name].sort_values(["encounter", "image"])
    results = matches[["query", "matched", "is_right"]].rename(columns={"query": "image"})
    return own.merge(results, on="image", how="left")[["image", "encounter", "part", "matched", "is_right"]]
