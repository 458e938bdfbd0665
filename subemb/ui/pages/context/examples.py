"""Sentences and texts to try the page Masked words with, written for this project in several languages."""

#: Language -> sentences; ``[MASK]`` stands for the mask of any model.
SENTENCES = {
    "English": (
        "The cat sleeps on the [MASK] all day.",
        "In winter the lake is covered with [MASK].",
        "She forgot her umbrella, so she came home [MASK].",
        "Paris is the [MASK] of [MASK].",
    ),
    "German": ("Im Winter ist der See mit [MASK] bedeckt.", "Berlin ist die [MASK] von Deutschland."),
    "French": ("En hiver, le lac est couvert de [MASK].", "Le chat dort sur le [MASK]."),
    "Spanish": ("En invierno el lago está cubierto de [MASK].", "El gato duerme en la [MASK]."),
    "Russian": ("Зимой озеро покрыто [MASK].", "Москва это [MASK] России."),
    "Chinese": ("冬天湖面上有[MASK]。", "北京是中国的[MASK]都。"),
    "Arabic": ("القاهرة هي [MASK] مصر.",),
    "Hindi": ("दिल्ली भारत की [MASK] है।",),
}

#: Language -> a text of several sentences.
TEXTS = {
    "English": (
        "The market opens at six in the morning. Farmers bring apples, cabbages and fresh bread. An old woman sells honey from a "
        "small table near the bridge. By noon most of the fruit is gone. The children of the village wait for the last cakes, which "
        "are cheaper then. When it rains, everybody moves under the roof of the station. Nobody remembers a week without the market."
    ),
    "German": (
        "Der Markt öffnet um sechs Uhr morgens. Die Bauern bringen Äpfel, Kohl und frisches Brot. Eine alte Frau verkauft Honig an "
        "einem kleinen Tisch bei der Brücke. Gegen Mittag ist das meiste Obst verkauft. Die Kinder warten auf die letzten Kuchen. "
        "Wenn es regnet, gehen alle unter das Dach des Bahnhofs."
    ),
    "French": (
        "Le marché ouvre à six heures du matin. Les paysans apportent des pommes, des choux et du pain frais. Une vieille femme vend "
        "du miel près du pont. À midi, presque tous les fruits sont vendus. Les enfants attendent les derniers gâteaux. Quand il "
        "pleut, tout le monde va sous le toit de la gare."
    ),
    "Spanish": (
        "El mercado abre a las seis de la mañana. Los campesinos traen manzanas, coles y pan fresco. Una anciana vende miel cerca del "
        "puente. Al mediodía casi toda la fruta está vendida. Los niños esperan los últimos pasteles. Cuando llueve, todos van bajo "
        "el techo de la estación."
    ),
    "Russian": (
        "Рынок открывается в шесть часов утра. Крестьяне привозят яблоки, капусту и свежий хлеб. Старая женщина продаёт мёд у моста. "
        "К полудню почти все фрукты проданы. Дети ждут последних пирогов. Когда идёт дождь, все идут под крышу вокзала."
    ),
    "Chinese": (
        "市场早上六点开门。农民带来苹果、白菜和新鲜的面包。一位老太太在桥边卖蜂蜜。到了中午,大部分水果都卖完了。孩子们等着最后的蛋糕。"
        "下雨的时候,大家都到车站的屋檐下。"
    ),
}
