"""Given and family names of each country, the most common ones first.

All are common names of their country, in an approximate order.  Polish family names are
those that have one form for women and men.
"""

from __future__ import annotations

GIVEN_NAMES = {
    "US": (
        "James Mary Michael Jennifer Robert Jessica David Ashley John Sarah Emily"
        " Christopher Amanda Matthew Elizabeth Joshua Melissa Daniel Stephanie Andrew"
        " Nicole Ryan Lauren Brandon Megan Tyler Samantha Kevin Rachel Justin Olivia"
        " Anthony Hannah Joseph Emma Jacob Brittany Ethan Kayla Noah Danielle Austin"
        " Alexis Zachary Jasmine Aaron Grace Sean Maria Tiffany"
    ),
    "GB": (
        "Oliver Sophie Jack Emily Thomas Charlotte James Olivia Harry Jessica George"
        " Chloe William Emma Daniel Lucy Joshua Hannah Samuel Amelia Joseph Megan Matthew"
        " Laura Luke Rebecca Benjamin Katie Adam Gemma Ryan Isla Callum Poppy Jamie Freya"
        " Lewis Florence Mohammed Harriet Connor Alice Rhys Ellie Alfie Niamh Arthur Zara"
        " Ewan Imogen"
    ),
    "DE": (
        "Michael Anna Thomas Julia Andreas Katharina Stefan Sabine Christian Laura"
        " Alexander Lena Daniel Sarah Sebastian Lisa Jan Sandra Tobias Nicole Lukas Marie"
        " Markus Christina Jürgen Johanna Florian Stefanie Matthias Melanie Jonas Claudia"
        " Felix Petra Philipp Hannah Martin Monika Maximilian Sophie Björn Heike Uwe Käthe"
        " Günther Emilia Moritz Jana Jörg Mia"
    ),
    "FR": (
        "Marie Thomas Camille Nicolas Léa Julien Julie Alexandre Manon Antoine Pauline"
        " Pierre Chloé Maxime Sarah Lucas Laura Guillaume Émilie Hugo Mathilde Romain Inès"
        " Quentin Céline Vincent Élodie Clément Aurélie Mathieu Charlotte François Anaïs"
        " Jérôme Sophie Théo Nathalie Benoît Margaux Sébastien Hélène Noël Zoé Frédéric"
        " Clara Mehdi Louise Raphaël Agathe Loïc"
    ),
    "ES": (
        "María Antonio Carmen José Laura Manuel Ana Francisco Lucía David Marta Juan"
        " Cristina Javier Paula Daniel Sara Carlos Elena Jesús Raquel Alejandro Sofía"
        " Miguel Isabel Rafael Andrea Pablo Patricia Sergio Irene Álvaro Alba Adrián Nuria"
        " Jorge Rocío Rubén Beatriz Óscar Martina Iván Silvia Hugo Begoña Íñigo Inés Ramón"
        " Pilar Ángel"
    ),
    "SE": (
        "Anna Lars Maria Erik Eva Johan Emma Anders Karin Per Sara Karl Lena Mikael"
        " Kristina Fredrik Hanna Daniel Malin Andreas Sofia Peter Jenny Alexander Johanna"
        " Oskar Elin Magnus Ida Henrik Elsa Björn Åsa Viktor Linnéa Gustav Märta Mattias"
        " Astrid Håkan Ebba Simon Frida Göran Maja Nils Julia Sören Alva Leif"
    ),
    "PL": (
        "Anna Piotr Katarzyna Krzysztof Maria Andrzej Małgorzata Tomasz Agnieszka Paweł"
        " Barbara Jan Ewa Michał Krystyna Marcin Magdalena Jakub Elżbieta Adam Joanna"
        " Marek Aleksandra Grzegorz Zofia Mateusz Monika Wojciech Natalia Łukasz Karolina"
        " Mariusz Julia Dariusz Iwona Zbigniew Marta Jerzy Beata Kamil Dorota Szymon"
        " Alicja Rafał Łucja Robert Hanna Stanisław Zuzanna Bartosz"
    ),
    "BR": (
        "Maria José Ana João Juliana Antônio Fernanda Francisco Camila Carlos Amanda Paulo"
        " Patrícia Lucas Larissa Marcos Letícia Luiz Aline Gabriel Bruna Rafael Beatriz"
        " Pedro Júlia Felipe Mariana Rodrigo Jéssica Bruno Vanessa Gustavo Adriana Daniel"
        " Gabriela Mateus Sandra André Isabela Thiago Luíza Otávio Raquel Vinícius"
        " Carolina Fábio Conceição Diego Thaís Sérgio"
    ),
}

FAMILY_NAMES = {
    "US": (
        "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez"
        " Hernandez Lopez Gonzalez Wilson Anderson Thomas Taylor Moore Jackson Martin Lee"
        " Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker Young"
        " Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall"
        " Rivera Campbell Mitchell Carter Roberts Gomez Phillips Evans Turner Diaz Parker"
        " Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook Rogers Gutierrez"
        " Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward"
        " Richardson"
    ),
    "GB": (
        "Smith Jones Taylor Brown Williams Wilson Johnson Davies Robinson Wright Thompson"
        " Evans Walker White Roberts Green Hall Thomas Clarke Jackson Wood Harris Edwards"
        " Turner Martin Cooper Hill Ward Hughes Moore Clark King Harrison Lewis Baker"
        " Patel Lee Khan Allen Morris Young Campbell Mitchell Scott Davis Bennett Parker"
        " Phillips Adams Shaw Begum Cook Ahmed Griffiths Collins Kelly Marshall Murphy Ali"
        " Simpson Stewart Murray MacDonald Ellis Graham Mason Gray Singh Rogers Mills"
        " Palmer Chapman Knight O’Connor Barker Butler Reid Holmes Fraser Pearson"
    ),
    "DE": (
        "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann"
        " Schäfer Koch Bauer Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun"
        " Krüger Hofmann Hartmann Lange Schmitt Werner Schmitz Krause Meier Lehmann Schmid"
        " Schulze Maier Köhler Herrmann König Walter Mayer Huber Kaiser Fuchs Peters Lang"
        " Scholz Möller Weiß Jung Hahn Schubert Vogel Friedrich Keller Günther Frank"
        " Berger Winkler Roth Beck Lorenz Baumann Franke Albrecht Schuster Simon Ludwig"
        " Böhm Winter Kraus Martin Schumacher Krämer Vogt Stein Jäger Otto Sommer Groß"
        " Seidel Brandt"
    ),
    "FR": (
        "Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon"
        " Michel Lefebvre Leroy Roux David Bertrand Morel Fournier Girard Bonnet Dupont"
        " Lambert Fontaine Rousseau Vincent Muller Lefèvre Faure André Mercier Blanc"
        " Guérin Boyer Garnier Chevalier François Legrand Gauthier Garcia Perrin Robin"
        " Clément Morin Nicolas Henry Roussel Mathieu Gautier Masson Marchand Duval Denis"
        " Dumont Marie Lemaire Noël Meyer Dufour Meunier Brun Blanchard Giraud Joly"
        " Rivière Lucas Brunet Gaillard Barbier Arnaud Martinez Gérard Roche Renard"
        " Schmitt Roy Leroux Colin Vidal Caron"
    ),
    "ES": (
        "García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín"
        " Jiménez Hernández Ruiz Díaz Moreno Muñoz Álvarez Romero Gutiérrez Alonso Navarro"
        " Torres Domínguez Ramos Vázquez Ramírez Gil Serrano Morales Molina Blanco Suárez"
        " Castro Ortega Delgado Ortiz Marín Rubio Núñez Medina Sanz Castillo Iglesias"
        " Cortés Garrido Santos Guerrero Lozano Cano Cruz Méndez Flores Prieto Herrera"
        " Peña León Márquez Cabrera Gallego Calvo Vidal Campos Reyes Vega Fuentes Carrasco"
        " Aguilar Caballero Nieto Santana Pascual Herrero Montero Lorenzo Hidalgo Giménez"
        " Ibáñez Ferrer Durán Santiago"
    ),
    "SE": (
        "Andersson Johansson Karlsson Nilsson Eriksson Larsson Olsson Persson Svensson"
        " Gustafsson Pettersson Jonsson Jansson Hansson Bengtsson Jönsson Lindberg"
        " Jakobsson Magnusson Lindström Olofsson Lindqvist Lindgren Berg Axelsson"
        " Bergström Lundberg Lind Lundgren Lundqvist Mattsson Berglund Fredriksson"
        " Sandberg Henriksson Ali Forsberg Sjöberg Wallin Engström Eklund Danielsson"
        " Lundin Håkansson Björk Bergman Gunnarsson Holm Wikström Samuelsson Isaksson"
        " Fransson Bergqvist Nyström Holmberg Arvidsson Löfgren Söderberg Nyberg Blomqvist"
        " Claesson Nordström Mårtensson Lundström Viklund Eliasson Berggren Björklund"
        " Sandström Nordin Ström Åberg Hermansson Ekström Holmgren Hedlund Sundberg"
        " Sjögren Dahlberg Öberg"
    ),
    "PL": (
        "Nowak Wójcik Kowalczyk Woźniak Mazur Krawczyk Kaczmarek Król Wieczorek Wróbel"
        " Stępień Pawlak Walczak Michalak Zając Adamczyk Dudek Duda Szewczyk Tomczyk"
        " Pietrzak Marciniak Baran Wilk Lis Mróz Kołodziej Sobczak Urban Kubiak"
        " Szczepaniak Kania Mazurek Kozak Kaźmierczak Sikora Bąk Zięba Gajda Ptak Kopeć"
        " Żak Skiba Marzec Wrona Leśniak Olejnik Cieślak Kaczmarczyk Błaszczyk Kasprzak"
        " Tomczak Janik Stachowiak Socha Wójtowicz Markiewicz Kowal Banaś Matuszak Sroka"
        " Gawron Kurek Majcher Domagała Stasiak Czaja Mikołajczyk Ratajczak Klimek Bednarz"
        " Fijałek Grabarczyk Piątek Gołąb Łuczak Sowa Świątek Kwiecień Wawrzyniak"
    ),
    "BR": (
        "Silva Santos Oliveira Souza Rodrigues Ferreira Alves Pereira Lima Gomes Costa"
        " Ribeiro Martins Carvalho Almeida Lopes Soares Fernandes Vieira Barbosa Rocha"
        " Dias Nascimento Andrade Moreira Nunes Marques Machado Mendes Freitas Cardoso"
        " Ramos Gonçalves Santana Teixeira Araújo Pinto Reis Castro Borges Moura Campos"
        " Monteiro Batista Cavalcanti Azevedo Correia Melo Barros Miranda Cunha Farias"
        " Medeiros Duarte Pires Magalhães Simões Brandão Assunção Conceição Guimarães"
        " Sales Xavier Leite Siqueira Fonseca Coelho Nogueira Macedo Aguiar Rezende"
        " Tavares Brito Bezerra Figueiredo Falcão Peixoto Queiroz Vasconcelos Sampaio"
    ),
}
