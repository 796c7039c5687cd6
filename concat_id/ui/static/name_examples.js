() => {
    // Gradio's buttons of example pictures have no names for who cannot see them.
    const name = () => {
        for (const button of document.querySelectorAll('.cid-people button:not([aria-label])')) {
            const file = button.querySelector('img')?.src.split('/').pop().replace(/\.\w+$/, '');
            if (file) button.ariaLabel = decodeURIComponent(file).replaceAll('-', ' ');
        }
    };
    name();
    new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
}
