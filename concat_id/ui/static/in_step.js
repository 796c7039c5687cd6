// Plays all videos of a comparison as one: whoever is ahead waits for the slowest.

const TOLERANCE_S = 0.05;
// Of one that joined later, nobody waits this long: the others go back to it.
const FAR_S = 0.4;
const play = element.querySelector('.cid-play');
const place = element.querySelector('input');
const rate = element.querySelector('select');
let playing = true;

const all = () => [...document.querySelectorAll('#sides video')].filter(video => video.duration > 0);
const longest = videos => Math.max(...videos.map(video => video.duration));

function seek(videos, time) {
  for (const video of videos) video.currentTime = Math.min(time, video.duration);
}

function keepInStep(videos) {
  const going = videos.filter(video => !video.ended);
  const slowest = Math.min(...going.map(video => video.currentTime));
  const running = playing && element.offsetParent !== null;
  for (const video of videos) {
    video.muted = true;
    video.loop = false;
    video.playbackRate = Number(rate.value);
    const ahead = video.currentTime - slowest;
    if (running && ahead > FAR_S) seek([video], slowest);
    const go = running && !video.ended && ahead <= TOLERANCE_S;
    if (go && video.paused) video.play().catch(() => {});
    if (!go && !video.paused) video.pause();
  }
  place.value = String((going.length ? slowest : longest(videos)) / longest(videos));
  if (running && !going.length) seek(videos, 0);
}

function follow() {
  if (!element.isConnected) return;
  const videos = all();
  if (videos.length) keepInStep(videos);
  requestAnimationFrame(follow);
}

function setPlaying(value) {
  playing = value;
  play.textContent = playing ? 'Pause' : 'Play';
}

play.addEventListener('click', () => setPlaying(!playing));
place.addEventListener('input', () => {
  setPlaying(false);
  const videos = all();
  seek(videos, Number(place.value) * longest(videos));
});
requestAnimationFrame(follow);
