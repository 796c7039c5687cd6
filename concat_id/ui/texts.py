"""Every sentence the visitor reads that belongs to no single component."""

TITLE = "Concat-ID studio"
TAGLINE = "One picture of a person and a sentence become a short video of that person."

# What the chip says, and the prompt behind it.
IDEAS = {
    "Laughing, beach": "a person laughing on a beach",
    "Nodding, forest": "someone smiling and nodding in a forest",
    "Waving, snow": "a surprised person waving in the snow",
    "Talking, library": "a person in a red turtleneck talking in a library",
    "Winking, sunset": "a person winking at sunset",
}
NEGATIVE_PLACEHOLDER = "What the video should not show"

EMPTY_STAGE = "Your video will take shape here."
STOPPED = "Stopped. The picture and the prompt are still here; start again when you like."
NO_PICTURE = "there is no picture yet; upload one, paste one, take one, or choose one of the example people."
SEEN_FACE = "The person alone: background, headwear and clothes are left out."
CHOOSE_BELOW = "Choose another face below."
SEEN_NOTHING = "The face that the model gets appears here."
WHOLE_PICTURE = "Use the whole picture instead"

NO_RUNS = "Every video you make in this browser is kept here. There is none yet."
PICTURE_MISSING = (
    "The settings are restored. The reference picture is not in the video file, and it is not among your "
    "runs: give it again."
)
CHOOSE_RUNS = "Two to four of your runs, with the same pictures and prompt. Of one, others can be made below."
BLIND = "The videos are shuffled and their settings hidden. Which one is better?"
VOTED = "Your vote counts. Now you see which is which."
VOTED_BEFORE = "You voted on these videos before; the first vote is the one that counts."

FOOTNOTE = (
    "Use only pictures of people who agreed to it, and say that the result is synthetic. "
    "Pictures and videos stay on the machine that runs this page."
)


def sentence(error: Exception) -> str:
    """An error's message as a sentence on its own."""
    message = str(error).strip()
    return message[:1].upper() + message[1:]
