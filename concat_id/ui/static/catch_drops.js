() => {
    // An MP4 dropped anywhere on the page goes where one can also be chosen.
    const isVideo = event => [...(event.dataTransfer?.items ?? [])].some(item => item.type === 'video/mp4');
    addEventListener('dragover', event => isVideo(event) && event.preventDefault(), true);
    addEventListener('drop', event => {
        if (!isVideo(event)) return;
        event.preventDefault();
        event.stopPropagation();
        const input = document.querySelector('input:has(+ #dropped)');
        input.files = event.dataTransfer.files;
        input.dispatchEvent(new Event('change', {bubbles: true}));
    }, true);
}
