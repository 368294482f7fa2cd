"""The published checksums of generated shops, by format version.

They are a promise: these bytes on every version of Python and every platform.  Different
bytes need a new format version; the sums of earlier ones stay (data_generation/README.md,
"Format versions").
"""

from __future__ import annotations

# From: python generate_data.py --generate --seed 42 --users 150
SAMPLE_SUMS = {
    1: {
        "users": "6c9738c701e9766647293c1439328116070a7675539c0043cd415c96220e02cd",
        "products": "c0a2ffe39cdd9af287742443c265b7aea7eb34da2c2065c1a458ddd56152768f",
        "orders": "0a623eb1433d2cfff536d504d6aa6b5b7629120c19bb65c0854f78e0557a9e7e",
        "order_items": "1dfc248dd6aee3a2139668701563c01c216ed94c16ff77aff996dd6c26a8f8d7",
        "payments": "2ee57234ea855ad8b44c00b285e5c7518d1d05a6018d68ff7e876da035138d56",
    },
    2: {
        "users": "e7e03dafe87afa0d1d29e0395fdd2f9e6a3d2f055ff9a27d81a558bada52c18a",
        "products": "c9685ee82cfd7cc2e21048c0af91087f9c3c677bfe0e7391d789039e60f6f9c9",
        "orders": "90bb38a44684af7c397d3890ebad0348915b3df834cd8b067d15927111514880",
        "order_items": "46206ab2e3a4c90c66c192680c42c495af93001a6a4317d49222038e70a6cd1b",
        "payments": "efacc67e618ff6f34938eb8da566e847a2c05e2a90126c36d499396672eefaad",
    },
    3: {
        "users": "664d48ae85375ac2202248807abfad55d2d5aa84a2d24668a457c493daf93ee8",
        "products": "b63cf6cdab413d830a58239d59586b5ebccd7268ebee6a8a16dd4684d89f9a99",
        "orders": "0963c701801ddccc3bf008f0b1113358ae73b801c1a158dae4eb71fb6850ba0d",
        "order_items": "a6b4512aedd926afb63b26c340ec9037b9a1be4e41472c1d3a0e5ce99b3be101",
        "payments": "33f19755d655a6f822ec4a7a82d124be560b2bfec95d607cfe181ff3b9104943",
    },
}

# Another seed, scale and window, over Black Friday and 29 February, with a later end.
OTHER_SHOP = (
    "--seed",
    2**64 - 1,
    "--users",
    2000,
    "--start",
    "2023-11-01",
    "--end",
    "2024-03-10",
    "--until",
    "2024-03-31",
)
OTHER_SUMS = {
    2: {
        "users": "bec26e9a8b325ee947f89ed1df37bf0751d5752b9d16d947cf8db0aa2aa38dae",
        "products": "c802d25e72e2ead0281e2ac3fc1182401e94101c167eba4a4dd31d709419916a",
        "orders": "806dd4d1118761d615f67ef1f3a7a0eda69cbc1e6daf369e4a596145a9a58b52",
        "order_items": "c4cd4559b9816df1123a0e74547cc1b045b18656f045a9459bcf3af2c9ad38d0",
        "payments": "92698edc97fcaee102b5dc7b366e873f87460374713ef5bc5056cb5cfce68b6e",
    },
    3: {
        "users": "0dc7bd84abfd6d30a7093cc49db87c5d45f6991580e140ab4e921a48d725b8ee",
        "products": "9757f63197123ac741d2a5b5dbe045b1cdf4cd6d2c98c2ee19b8693e3c3f403a",
        "orders": "bc613f571144c20e9eecb1495ead7ffed0751539f7d6661cf74fa01ef57dc387",
        "order_items": "9268b7421c42058ad84c87579a5770310fab3bd268c8ab97ddee5e28cf56f586",
        "payments": "0f12562e696c49bf7ac8c0c79ee5396c43083c3b64f813632f9589be1c5ca9a1",
    },
}
