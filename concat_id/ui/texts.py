"""Every sentence the visitor reads that belongs to no single component."""

from __future__ import annotations

import re

TITLE = "Concat-ID Studio"
TAGLINE = "One picture of a person and a sentence become a short video of that person."

# What the chip says, and the prompt behind it.
IDEAS = {
    "Laughing, beach": "a person laughing on a beach, wearing a yellow t-shirt",
    "Smiling, forest": "someone in a blue and white striped t-shirt smiling in a forest",
    "Waving, snow": "a surprised person in a purple hoodie waving in the snow",
    "Talking, library": "a person in a red turtleneck talking in a library",
    "Winking, sunset": "a person in a teal jacket winking at sunset",
}
MULTI_IDEAS = {
    "Laughing, beach": "two friends laughing on a beach",
    "Talking, library": "two people talking in a library",
    "Waving, snow": "two friends waving in the snow",
    "Three, forest": "three friends smiling in a forest",
}
TRY_ON_IDEAS = {
    "Laughing, beach": "a person wearing the garment, laughing on a beach",
    "Waving, snow": "a person in the garment, waving in the snow",
    "Talking, library": "a person wearing the garment, talking in a library",
}
BACKGROUND_IDEAS = {
    "Laughing": "a person laughing",
    "Waving": "a surprised person waving",
    "Talking": "someone smiling and talking",
}
NEGATIVE_PLACEHOLDER = "What the video should not show"
SPEED_INFO = "What the model may leave out of its steps to be done sooner."

PROMPT_HELP = "Help with the prompt"
# By the names of `PromptParts`.
PART_LABELS = {
    "subject": "Who",
    "action": "Does what",
    "place": "Where",
    "clothes": "Wearing",
    "camera": "Camera",
    "light": "Light",
}
NOTHING_COMPOSED = "Choose, or write in your own words; the sentence appears here."
USE_PROMPT = "Use as the prompt"
SENT_TO = (
    "{} at {} can write the prompt out. It gets the prompt, and no picture; what it answers is shown first."
)
WHAT_IS_SENT = "What is sent besides the prompt"
EXTEND = "Extend the prompt"
EXTENDED = "Extended prompt"
NOTHING_TO_EXTEND = "there is no prompt to extend yet; write a few words first."
NO_LORA = "None"
LORA_INFO = "Changes the model\u2019s style or subject; it has to be one for this model."
AS_STARTED = "As the studio was started"
MEMORY_INFO = (
    "Less takes longer; with fewer bits the video differs a little. Another choice loads the model anew."
)
SIZE_INFO = "Width x height in pixels, multiples of {}. Others than these may look worse."
FORMAT_LENGTH = "{:.1f} s at {} frames per second."
FORMAT_COST = "At least {:.2g} times the work of this model\u2019s own size and length."
FORECAST = "About {}"
FORECAST_VIDEOS = "About {} for {} videos"
FORECAST_MEMORY = " and {:.2g} GB of memory"
NO_FORECAST = "How long it takes here is known after the first video. Memory: about {:g} GB."
EMPTY_STAGE = "Your video will take shape here."
STOPPED = "Stopped. The picture and the prompt are still here; start again when you like."
NO_PICTURE = "there is no {noun} yet; upload one, paste one, take one, or choose one of the examples."
CAN_SHOW = "What this model can show"
CANNOT_SHOW = (
    "One to three drawn people from the chest up, for about two seconds. Nothing else was in its training: "
    "no photographs of people, clothes or places, no objects in hands, no animals, no other styles. "
    "Faces that nod or shake smear, in groups above all."
)
# By the reference's role, beside what the model gets of a picture that is none of the examples.
DRAWN_THINGS_ONLY = {
    "garment": "This model has only ever seen drawn clothing: a photographed garment may come out otherwise.",
    "background": "This model has only ever seen drawn places: a photographed one may come out otherwise.",
}
DRAW_SOMEONE = "Draw someone"
PHOTO_MEETS_DRAWN = (
    "This looks like a photograph. The chosen model has only ever seen drawn people: of a photographed face "
    "it makes a distorted one."
)
DRAW_ALIKE = "Draw a person like this one"
KEEP_PHOTO = "Use the photograph all the same"
PHOTO_MODEL_NEEDS = "{title} was made for photographs. {needs}"
NO_PHOTO_MODEL = (
    "The models for photographs make videos of one person alone: where this studio has them, the tab Single "
    "identity offers them."
)
CHOOSE_FIRST = "this looks like a photograph, which the model does not know; choose below it what to do."
UNKNOWN_WORDS = (
    "This model never read {}: it learned the words of its drawn people\u2019s captions, and may pass over "
    "others."
)
HOW_TO_CHANGE_MODELS = (
    "The advanced settings of a form choose the model of its videos. One that is not on this machine yet is "
    "fetched with its first video, with progress on the stage; it needs what is listed here. Started with a "
    "command below, the page begins with that model."
)
# By the reference's role: what the model gets of a picture, and the place where that will appear.
SEEN = {
    "face": "The person alone: background, headwear and clothes are left out.",
    "garment": "The clothing alone, cut out of the picture.",
    "background": "The place as it is: nobody was found in it.",
}
SEEN_NOTHING = {
    "face": "The face that the model gets appears here.",
    "garment": "The clothing that the model gets, cut out, appears here.",
    "background": "The place that the model gets, without people, appears here.",
}
SEEN_ONCE_FETCHED = "what the model gets of a picture is shown here once the model has been fetched."
ON_THIS_MACHINE = "On this machine."
FETCHED_AT_FIRST_USE = "Fetched with the first video: {}."
CHOOSE_BELOW = "Choose another face below."
WHOLE_PICTURE = "Use the whole picture instead"

AT_THE_END = ", at the end"  # goes after the meaning of scores that previews do not have
IDLE_SCORES = "They appear while your video takes shape."
# For presets of photographed, and of drawn people.
PAPER_TICKS = (
    "The ticks are the paper's means, for one person.",
    "The ticks are the paper's means, for real people: drawn ones have scales of their own.",
)
POINT_AT_A_FRAME = "Point at a frame, or tap it, to see its face."
LOST_FACES = "No face found in {}."
COPIED = (
    "This looks like the reference picture itself: its expression and pose have hardly changed. A lower "
    "Likeness, or a prompt in which more happens, gives the person more freedom."
)
MISSING_JUDGES = "{} can be computed once this was run, and the studio started again:"

# Of two and of three people, where each of them stands.
POSITIONS = {2: ("1 left", "2 right"), 3: ("1 left", "2 middle", "3 right")}
SWAP = "Swap {} and {}"
GROUP_PHOTO = "Pick everyone from one group photo"
NOT_A_GROUP = "the picture shows one face; choose one that shows two or three people."

NO_RUNS = "Every video you make in this browser is kept here. There is none yet."
PICTURE_MISSING = (
    "The settings are restored. The reference picture is not in the video file, and it is not among your "
    "runs: give it again."
)
CHOOSE_RUNS = "Two to four of your runs, with the same pictures and prompt. Of one, others can be made below."
CHOOSE_CASE = "One case, as several models made it."
DELETED = "deleted"
BLIND = "The videos are shuffled and their settings hidden. Which one is better?"
VOTED = "Your vote counts. Now you see which is which."
VOTED_BEFORE = "You voted on these videos before; the first vote is the one that counts."

FOOTNOTE = (
    "Use only pictures of people who agreed to it, and say that the result is synthetic. "
    "Pictures and videos stay on the machine that runs this page."
)

# In place of what Gradio says.
NOT_UPLOADED = "A file was named that was not uploaded here. Upload it first, then name it as the upload did."
WRONG_VALUES_COUNT = "That was another number of values than this call takes; see \u201cUse via API\u201d."
WRONG_VALUES = "A value is of another kind than this call takes; see \u201cUse via API\u201d."
OUR_FAULT = "Something went wrong here that is no fault of yours. It was written down; try again."

_QUOTED_PATH = re.compile(r"""(['"`])(?:~|[A-Za-z]:)?[/\\](?:[^'"`\n]*[/\\])?([^'"`/\\\n]*)[/\\]?\1""")
_BARE_PATH = re.compile(r"""(?<![\w.:/\\<>])(?:~|[A-Za-z]:)?[/\\](?:[^\s'"`/\\]+[/\\])+([^\s'"`/\\]*)""")


def sentence(error: Exception) -> str:
    """An error's message as a sentence on its own, which says nothing of this machine's folders."""
    message = hide_paths(str(error).strip())
    return message[:1].upper() + message[1:]


def hide_paths(text: str) -> str:
    """A text in which of every absolute path the last name alone is left."""
    return _BARE_PATH.sub(r"\1", _QUOTED_PATH.sub(r"\1\2\1", text))
