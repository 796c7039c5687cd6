"""What can be wrong with what a user gives us, each with a name and a one-sentence way out."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user can put right; its message is one sentence that says how."""


class UnreadablePicture(InputError):
    """The file is missing, is not a picture of a known format, or is damaged."""


class PictureTooLarge(InputError):
    """The picture has more bytes or pixels than is safe to decode."""


class PictureTooSmall(InputError):
    """The picture is too small or too narrow to hold a face."""


class NoFaceFound(InputError):
    """No face was detected in a picture that is to serve as a face reference."""


class FaceTooSmall(InputError):
    """The chosen face has too few pixels to carry an identity."""


class InvalidTraits(InputError):
    """Someone is to be drawn with a trait that the renderer does not know."""


class NoGarmentFound(InputError):
    """No clothing was recognised in a picture that is to serve as a garment reference."""


class PlaceHidden(InputError):
    """People hide too much of a picture that is to serve as a background reference."""


class UnreadableVideo(InputError):
    """The file is missing, is not a video of a known format, or is damaged."""


class VideoTooLarge(InputError):
    """The video has more bytes, pixels or seconds than is safe to decode."""


class InvalidJob(InputError):
    """The job asks for something its preset cannot do."""


class OutputUnusable(InputError):
    """Nothing can be written where the output was asked for, or what is there would be overwritten."""


class OutputLost(InputError):
    """The video is finished and could not be written where it was asked for."""


class RunNotFound(InputError):
    """The run was deleted, was never there, or belongs to another visitor."""


class ForeignVideo(InputError):
    """The video was not made here, or its settings were lost on the way."""


class NotComparable(InputError):
    """The videos differ in more than their settings, or there are too few of them."""


class WeightsUnavailable(InputError):
    """A preset's weights are neither on this machine nor to be fetched."""


class DamagedWeights(InputError):
    """A file of weights is damaged, or was fetched in part."""


class InvalidWeights(InputError):
    """What was given as weights is missing or is no model of ours, or has a name that cannot be used."""


class NotFinite(InputError):
    """The model computed what is no number: its weights are damaged, or overflow in their precision."""


class InvalidPromptService(InputError):
    """The variables that name a language model for prompts do not name one."""


class PromptServiceFailed(InputError):
    """The language model that extends prompts gave no usable answer."""


class MissingPackage(InputError):
    """What was asked for needs a package that is not installed."""


class InvalidLimit(InputError):
    """A variable that sets a limit of the studio is not a number that can be one."""


class QueueFull(InputError):
    """As many runs wait as may wait, of all visitors or of this one."""


class TooManyRuns(InputError):
    """The visitor asked for as many runs within the hour as one visitor may."""


class RunTooLong(InputError):
    """The run took longer than a run may take."""


class BackendUnavailable(InputError):
    """The backend does not answer, or is none."""


class BackendFailed(InputError):
    """The backend could not finish a run, for a reason of its own."""


class AddressInUse(InputError):
    """Something else is served where the backend was to be."""


class InvalidCredentials(InputError):
    """The key or certificates that videos are signed with are missing, damaged or of another kind."""


class CheckpointInTheWay(InputError):
    """A training run would write over another run's checkpoint."""
