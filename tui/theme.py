"""The app's two themes. Each head has one colour: AR primary, diffusion accent, length warning."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="trihead-dark",
    primary="#6cb6ff",
    secondary="#8ddb8c",
    accent="#d2a8ff",
    warning="#f0b35b",
    error="#ff7b72",
    success="#57c785",
    foreground="#d7dde5",
    background="#0e1217",
    surface="#151b22",
    panel="#1c242d",
    dark=True,
    variables={"footer-key-foreground": "#6cb6ff", "footer-background": "#0e1217"},
)
LIGHT = Theme(
    name="trihead-light",
    primary="#0b63b5",
    secondary="#2b7a3d",
    accent="#7b3fc4",
    warning="#9a5b00",
    error="#c0262d",
    success="#1d7f45",
    foreground="#1c2530",
    background="#fafbfc",
    surface="#f0f3f6",
    panel="#e4e9ee",
    dark=False,
    variables={"footer-key-foreground": "#0b63b5", "footer-background": "#fafbfc"},
)
